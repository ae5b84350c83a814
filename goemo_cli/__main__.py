"""`python -m goemo_cli`: the goemo command without its console script."""

from goemo_cli.app import main

if __name__ == "__main__":
    main()
