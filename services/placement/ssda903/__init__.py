"""Import of the statutory return on looked-after children (SSDA903): files in, partner events out."""
