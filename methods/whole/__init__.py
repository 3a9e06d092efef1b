"""Methods that train every weight of the model."""
