/* untar_main.c - farmctl-untar FOLDER: the archive on standard input, unpacked for farmctl submit. A program of its own, as farmctl-imagetools is: libarchive
 * brings libraries that farmctl else does without. Why it could not goes to standard output. */
#include <signal.h>
#include <stdio.h>

#include "common/untar.h"

int main (int argc, char **argv)
{
    err_t err = { 0 };
    const untar_limits_t limits = { .bytes_max = 64ll << 30, .entries_max = 10000000, .advice = "" };
    signal (SIGXFSZ, SIG_IGN);          /* EFBIG, as on a full disk */
    if (argc != 2)
        err_set (&err, ERR_USAGE, "farmctl-untar is run by farmctl submit, and by nobody else");
    else if (untar (0, argv [1], &limits, &err) == 0)
        return 0;
    printf ("%s", err.text);
    return err_exit_code (err.code);
}
