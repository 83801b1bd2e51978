"""A service's database: connections, migrations, and which errors pass by themselves."""
