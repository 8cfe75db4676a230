def program():
    """Nothing but the interpreter's own loop and its integers."""
    total = 0
    for number in range(5_000_000):
        total += number
    return total
