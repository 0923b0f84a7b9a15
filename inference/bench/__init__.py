"""How fast an engine is: each in a process of its own, in turns, beside what the memory allows."""
