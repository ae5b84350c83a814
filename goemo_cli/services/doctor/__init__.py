"""`goemo doctor`: what this machine offers to goemo."""
