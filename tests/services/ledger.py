"""A ledger in memory, kept in order by two locks.

`uvicorn ledger:app`.
"""

import time
from threading import Lock

from fastapi import FastAPI

import why504


class Ledger:
    def __init__(self) -> None:
        self._accounts_lock = Lock()
        self._journal_lock = Lock()
        self.accounts: dict[str, int] = {}
        self.journal: list[tuple[str, int]] = []

    def book(self, account: str, amount: int) -> int:
        with self._accounts_lock:
            balance = self.accounts.get(account, 0) + amount
            self._check(balance)
            with self._journal_lock:
                self.journal.append((account, amount))
            self.accounts[account] = balance
            return balance

    def statement(self, account: str) -> list[int]:
        with self._journal_lock:
            amounts = [amount for name, amount in self.journal if name == account]
            self._check(sum(amounts))
            with self._accounts_lock:
                assert sum(amounts) == self.accounts.get(account, 0)
            return amounts

    def _check(self, balance: int) -> None:
        time.sleep(0.2)


ledger = Ledger()
app = FastAPI()
why504.instrument(app)


@app.post("/accounts/{account}/bookings")
def book(account: str, amount: int = 1) -> int:
    return ledger.book(account, amount)


@app.get("/accounts/{account}/statement")
def statement(account: str) -> list[int]:
    return ledger.statement(account)


@app.get("/accounts")
async def accounts() -> list[str]:
    return list(ledger.accounts)
