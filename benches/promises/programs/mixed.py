import json
import re


class Account:
    def __init__(self, name, balance):
        self.name = name
        self.balance = balance

    def deposit(self, amount):
        self.balance += amount
        return self


def words(count):
    for number in range(count):
        yield f"word-{number % 97}-{number * 7 % 101}"


def program():
    """What scripts do: objects, calls, dictionaries, strings, sorting, patterns, JSON."""
    total = 0
    for _ in range(12):
        counts = {}
        for word in words(4_000):
            counts[word] = counts.get(word, 0) + 1
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        total += sum(count for _, count in ranked[:10])

        accounts = [Account(f"name {number}", number) for number in range(1_500)]
        for number, account in enumerate(accounts):
            account.deposit(number % 13).deposit(0.5)
        total += sum(account.balance for account in accounts)

        text = json.dumps([vars(account) for account in accounts[:400]])
        total += len(json.loads(text))
        total += len(re.findall(r"name (\d+)5", text))
        total += len(" ".join(reversed(text.split(", "))).upper())
    return total
