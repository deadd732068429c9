"""`python -m edge_style`."""

from edge_style.cli import main

if __name__ == "__main__":
    main()
