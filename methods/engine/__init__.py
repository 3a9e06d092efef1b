"""How every supervised method trains: the training loop, token ids, the loss, and what a checkpoint keeps."""
