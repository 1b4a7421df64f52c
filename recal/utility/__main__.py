"""`python -m recal.utility …`: the harness's own command line, which then knows `--model recal`."""

from lm_eval.__main__ import cli_evaluate

import recal.utility.model  # noqa: F401  registers the model type

if __name__ == "__main__":
    cli_evaluate()
