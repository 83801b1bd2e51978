"""What stands on the other side of each channel, over real sockets, doing what a test tells it to."""
