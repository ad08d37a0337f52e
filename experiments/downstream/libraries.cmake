set(extra experiment_harvest)
