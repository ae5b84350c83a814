"""The mathematics: data, models, training loop, scores. Arrays in, arrays out; knows no file layout."""
