/* A shared library, but not a plug-in. */
int nosymbol_answer(void);

int nosymbol_answer(void)
{
    return 42;
}
