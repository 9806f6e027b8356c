"""EC2's allowance of launches."""

from concurrent.futures import ThreadPoolExecutor

from vmdirac.hooks.ec2_rate import TokenBucket, bucket_of


def test_a_full_bucket_is_emptied_at_once_and_then_refilled_steadily() -> None:
    now = [100.0]
    bucket = TokenBucket(3, 2, lambda: now[0])
    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    now[0] += 0.25
    assert bucket.take() == 0.25
    now[0] += 0.25
    assert [bucket.take(), bucket.take()] == [0, 0.5]


def test_it_holds_no_more_than_its_size() -> None:
    now = [0.0]
    bucket = TokenBucket(2, 1, lambda: now[0])
    now[0] = 1e6
    assert [bucket.take() for _ in range(3)] == [0, 0, 1]


def test_threads_share_it() -> None:
    bucket = TokenBucket(50, 1, lambda: 0.0)
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(lambda _: bucket.take(), range(200)))
    assert waits.count(0) == 50


def test_each_account_in_each_region_has_its_own() -> None:
    bucket = bucket_of("account", "region")
    assert bucket_of("account", "region") is bucket
    assert bucket_of("account", "elsewhere") is not bucket
    assert bucket_of("other", "region") is not bucket
