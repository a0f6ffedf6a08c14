"""A torch network as an object to work on: its weights, gradients, masks, training and export."""
