"""`make chaos`: a feed is driven into the whole system while a nemesis acts; afterwards all is recounted."""
