/* penstock: the command line. */
#include "run.h"

int main(int argc, char **argv)
{
    return penstock_run(argc, argv);
}
