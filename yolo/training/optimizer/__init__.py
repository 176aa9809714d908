"""What an update does: optimizers, learning rate, weight averaging, class weights."""
