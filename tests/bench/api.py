"""Entry of the API with the kinds of the benchmarks."""

from services.api.main import main
from tests.bench.kinds import noop

if __name__ == "__main__":
    assert noop.__module__
    main()
