from benchmarks.kit import Case, mem_per, per, per_cpu

CASE = Case(
    "parallel_batch", "A batch of 10 000 items, 100 at a time, 1 ms each", "us/item", per(1e6), per_cpu(1e6),
    extra=(("peak KiB/item", mem_per, "{:.2f}"),),
    doc="The sleep alone is 10 us an item. Limit: a semaphore and gather.",
    mark=0.8, aim=0.65, memory_mark=0.5,
)
