"""Optimizers: update rules, learning-rate schedules, EMA of the weights, class weights."""
