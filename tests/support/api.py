"""Entry of the API with the tests' kinds."""

from services.api.main import main
from tests.support import bodies

if __name__ == "__main__":
    assert bodies.__name__
    main()
