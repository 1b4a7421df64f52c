# Every command of the README and of CI, one line or two each.
