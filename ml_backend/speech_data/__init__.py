"""Training speech with known phone times: sentences, synthesisers and the builder of the data set."""
