"""Speech sounds without networks: phones, visemes, coarticulation, alignment of a transcript."""
