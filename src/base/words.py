"""Lists in sentences."""

from collections.abc import Mapping, Sequence


def listed(items: Sequence[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def counted(counts: Mapping[str, int]) -> str:
    """3 silent and 1 too short."""
    return listed([f"{count:,} {what}" for what, count in sorted(counts.items())])


def steps(numbers: Sequence[int]) -> str:
    """Step 20, or steps 20, 5,020 and 15,000, without the capital."""
    return f"step{'s' if len(numbers) > 1 else ''} {listed([f'{number:,}' for number in numbers])}"
