"""The stores that fuzzing needs are those of the flow tests."""

from tests.flow.conftest import bench

__all__ = ["bench"]
