"""Two threads that take two locks in different order."""

import threading

first, second = threading.Lock(), threading.Lock()
both = threading.Barrier(2)


def pays():
    with first:
        both.wait()
        with second:  # line: pays
            pass


def refunds():
    with second:
        both.wait()
        with first:  # line: refunds
            pass


threads = [threading.Thread(target=job, name=job.__name__) for job in (pays, refunds)]
for thread in threads:
    thread.start()
print("inside", flush=True)
for thread in threads:
    thread.join()
