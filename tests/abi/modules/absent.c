/* A library that is there when a module is built, and not where it runs. */
int absent_answer(void);
int absent_answer(void) { return 42; }
