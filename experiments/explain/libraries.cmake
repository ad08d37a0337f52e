set(extra experiment_tokenize)
