/* The whole host: owns every part, builds them in order and tears them down in reverse. */
#ifndef PENSTOCK_APP_H
#define PENSTOCK_APP_H
int app_main(int argc, char **argv);
#endif
