"""A service's database: connections, migrations, bulk writes, and which errors are temporary."""
