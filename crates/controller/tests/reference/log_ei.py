"""Writes log_ei.csv: u and ln(phi(u) + u Phi(u)) to 60 digits. Made with Python 3.11.7, mpmath 1.4.1."""

from pathlib import Path

import mpmath as mp

mp.mp.dps = 60
grid = [mp.mpf(n) / 4 for n in range(-170, 41)] + [mp.mpf(-4) + mp.mpf(2) ** -40] + [-mp.mpf(10) ** n for n in range(2, 8)]
with Path(__file__).with_name("log_ei.csv").open("w") as out:
    out.write("u,log_h\n")
    for u in sorted(grid):
        # phi + u Phi cancels about 2 log10|u| digits; 60 are plenty down to -1e7.
        phi = mp.exp(-u * u / 2) / mp.sqrt(2 * mp.pi)
        h = phi + u * mp.erfc(-u / mp.sqrt(2)) / 2
        out.write(f"{mp.nstr(u, 20)},{mp.nstr(mp.log(h), 20)}\n")
