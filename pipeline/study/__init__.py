"""Studies: grids of networks trained at equal budget. What they give is judged by ``validation.study``."""
