from .hybrid import solve
