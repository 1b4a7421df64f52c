import torch

from services.backbone.buckets import buckets, tokens_of_a_pass


def test_buckets_hold_every_row_once_within_the_budget():
    lengths = [5, 300, 7, 90, 6, 100, 8, 310]
    found = buckets(lengths, max_tokens=320)
    assert sorted(row for bucket in found for row in bucket) == list(range(len(lengths)))
    for bucket in found:
        longest = max(lengths[row] for row in bucket)
        assert len(bucket) == 1 or len(bucket) * longest <= 320


def test_buckets_keep_short_rows_from_long_ones():
    assert buckets([200, 10, 190, 12], max_tokens=10_000) == [[1, 3], [2, 0]]


def test_a_cpu_takes_fewer_tokens_at_once_than_an_accelerator():
    assert tokens_of_a_pass(torch.device("cpu")) < tokens_of_a_pass(torch.device("cuda", 0))
