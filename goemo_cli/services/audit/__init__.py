"""Facts about a data set, and the rows in it that are worth a look before a training."""
