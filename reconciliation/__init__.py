"""What providers bill beside what CostHub counted, and why the two differ."""
