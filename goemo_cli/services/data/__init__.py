"""Finding, downloading, reading and checking data sets."""
