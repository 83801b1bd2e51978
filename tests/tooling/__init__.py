"""What the project tests and measures itself with: chaos, bench, county, embedded engines, lints."""
