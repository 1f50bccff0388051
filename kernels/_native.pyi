"""The compiled module: the functions of each kernel's ``bind.cpp``.

Its wrappers check the arguments, not it; the GIL is released while a kernel runs. It gives what is asked of it here.
"""

from typing import Any

def instruction_set() -> str: ...
def __getattr__(kernel: str) -> Any: ...
