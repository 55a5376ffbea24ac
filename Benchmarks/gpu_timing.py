"""Samples as `filigree bench` takes them (Sources/Measuring/Sampler.swift); needs nothing beside Python."""
import time

# Sampler.shortestSample, warmedBelow and warmingCalls, and its least number of rounds: gpu_checks.py compares them.
SHORTEST_SAMPLE, WARMED_BELOW, WARMING_CALLS, ROUNDS = 50e-6, 5e-3, 2, 7


def interleave(bodies, budget, clock=time.perf_counter):
    """Samples of the seconds of a call for each body, as Sampler.swift takes them."""
    def sample(body, calls):
        start = clock()
        for _ in range(calls):
            body()
        return clock() - start

    calls, warmed = [], []
    for body in bodies:
        body()
        count = 1
        while True:
            seconds = sample(body, count)
            if seconds >= SHORTEST_SAMPLE or count >= 1 << 20:
                break
            count = max(2 * count, int(count * min(1.1 * SHORTEST_SAMPLE / seconds, 10) if seconds > 0 else 10 * count))
        calls.append(count)
        warmed.append(seconds / count < WARMED_BELOW)
    samples = [[] for _ in bodies]
    start, turn = clock(), 0
    while turn < ROUNDS or clock() - start < budget:
        for offset in range(len(bodies)):
            index = (turn + offset) % len(bodies)
            if warmed[index]:
                for _ in range(WARMING_CALLS):
                    bodies[index]()
            samples[index].append(sample(bodies[index], calls[index]) / calls[index])
        turn += 1
    return samples
