"""What the services share about each other: event models, topics and the documents generated from them."""
