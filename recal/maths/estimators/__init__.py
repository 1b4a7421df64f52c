"""Estimators of one language's threshold, one file each, all with the interface of `Estimator`."""
