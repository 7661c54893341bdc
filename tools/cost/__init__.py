"""What classifying costs on Azure: published rates, the requests of one upload, and the sum."""
