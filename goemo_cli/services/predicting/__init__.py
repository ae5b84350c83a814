"""Predict labels of any text: the sources of texts, the predictor, the writers."""
