#pragma once  // included by Jittor, which uses nothing of it
