"""Whether a W&B server answers at all; asked without wandb, which would wait."""

import urllib.error
import urllib.request

_SECONDS = 4


def reachable(server: str, seconds: float = _SECONDS) -> bool:
    """Whether anything answers at a URL, by way of the system's proxies; an error page is an answer.

    Args:
        server: http or https URL.
        seconds: to wait for it.
    """
    request = urllib.request.Request(server, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=seconds).close()
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, ValueError) as error:
        # A certificate that Python does not know may be one that wandb was told of.
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
    return True
