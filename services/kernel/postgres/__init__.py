"""A service's database: connections, migrations, bulk writes, and which errors pass by themselves."""
